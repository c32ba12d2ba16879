mod model;
mod random;
mod steps;
